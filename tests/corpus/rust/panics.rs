// SPDX-License-Identifier: MIT
//! Divides; a panic, an abort and a deep recursion end it as they end any program.
mod event;

fn depth(n: i64) -> i64 {
    let room = unsafe { std::ptr::read_volatile(&[n; 64]) }; // so that it is not left out
    if n == 0 { room[0] } else { 1 + depth(room[63] - 1) }
}

fn main() {
    // The compiler's own words name the thread, whose number differs.
    std::panic::set_hook(Box::new(|_| eprintln!("it panics")));
    let text = event::read();
    if text.contains("abort") {
        std::process::abort();
    }
    let numbers = event::numbers(&text);
    if text.contains("depth") {
        println!("{}", depth(numbers[0]));
        return;
    }
    println!("{}", numbers[0] / numbers[1]);
}
