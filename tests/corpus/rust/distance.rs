// SPDX-License-Identifier: MIT
//! The nearest of some words to the first one, by Levenshtein's distance over letters.
mod event;

fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut before = std::mem::replace(&mut row[0], i + 1);
        for (j, &y) in b.iter().enumerate() {
            let other = (row[j + 1] + 1).min(row[j] + 1).min(before + usize::from(x != y));
            before = std::mem::replace(&mut row[j + 1], other);
        }
    }
    row[b.len()]
}

fn main() {
    let words = event::texts(&event::read());
    let nearest = words[1..].iter().map(|word| (distance(&words[0], word), word)).min();
    match nearest {
        Some((steps, word)) => println!("[{steps},{}]", event::quoted(word)),
        None => println!("null"),
    }
}
