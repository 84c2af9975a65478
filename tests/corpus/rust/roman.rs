// SPDX-License-Identifier: MIT
//! Roman numerals, there and back; numbers that have none are refused.
mod event;

const DIGITS: [(i64, &str); 13] = [
    (1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L"),
    (40, "XL"), (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I"),
];

fn to_roman(mut number: i64) -> String {
    let mut text = String::new();
    for (value, digit) in DIGITS {
        while number >= value {
            text += digit;
            number -= value;
        }
    }
    text
}

fn from_roman(mut text: &str) -> i64 {
    let mut number = 0;
    for (value, digit) in DIGITS {
        while let Some(rest) = text.strip_prefix(digit) {
            number += value;
            text = rest;
        }
    }
    number
}

fn main() {
    let mut answers = Vec::new();
    for number in event::numbers(&event::read()) {
        if !(1..4000).contains(&number) {
            eprintln!("{number} has no Roman numeral");
            std::process::exit(65);
        }
        let text = to_roman(number);
        assert_eq!(from_roman(&text), number);
        answers.push(event::quoted(&text));
    }
    println!("[{}]", answers.join(","));
}
