// SPDX-License-Identifier: MIT
//! The event: the file that the first argument names. Only what these functions need of JSON.
#![allow(dead_code)]
use std::{env, fs};

pub fn read() -> String {
    let path = env::args().nth(1).expect("usage: handler EVENT.json");
    fs::read_to_string(path).expect("the event can be read")
}

/// All whole numbers of a text, in their order.
pub fn numbers(text: &str) -> Vec<i64> {
    text.split(|c: char| !c.is_ascii_digit() && c != '-').filter_map(|n| n.parse().ok()).collect()
}

/// All strings of a text, in their order.
pub fn texts(text: &str) -> Vec<String> {
    let (mut found, mut letters) = (Vec::new(), text.chars());
    while letters.by_ref().any(|c| c == '"') {
        let mut one = String::new();
        while let Some(letter) = letters.next() {
            match letter {
                '"' => break,
                '\\' => match letters.next() {
                    Some('n') => one.push('\n'),
                    Some('t') => one.push('\t'),
                    Some('u') => {
                        let digits: String = letters.by_ref().take(4).collect();
                        let code = u32::from_str_radix(&digits, 16).unwrap_or(0xFFFD);
                        one.push(char::from_u32(code).unwrap_or('\u{FFFD}'));
                    }
                    Some(other) => one.push(other),
                    None => break,
                },
                other => one.push(other),
            }
        }
        found.push(one);
    }
    found
}

pub fn quoted(text: &str) -> String {
    let escaped: String = text.chars().map(|c| match c {
        '"' | '\\' => format!("\\{c}"),
        c if c < ' ' => format!("\\u{:04x}", c as u32),
        c => c.to_string(),
    }).collect();
    format!("\"{escaped}\"")
}
