// SPDX-License-Identifier: MIT
//! Threads that share work through a channel and a counter.
mod event;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{mpsc, Arc};
use std::thread;

fn steps(mut number: u64) -> u64 {
    let mut count = 0;
    while number != 1 {
        number = if number % 2 == 0 { number / 2 } else { 3 * number + 1 };
        count += 1;
    }
    count
}

fn main() {
    let total = Arc::new(AtomicU64::new(0));
    let (send, receive) = mpsc::channel();
    let numbers = event::numbers(&event::read());
    let threads: Vec<_> = numbers.chunks(2).map(|part| {
        let (part, send, total) = (part.to_vec(), send.clone(), Arc::clone(&total));
        thread::spawn(move || {
            for number in part {
                let count = steps(number as u64);
                total.fetch_add(count, Ordering::Relaxed);
                send.send((number, count)).expect("somebody collects");
            }
        })
    }).collect();
    drop(send);
    let mut found: Vec<(i64, u64)> = receive.iter().collect();
    let joined = threads.into_iter().map(|one| one.join()).filter(Result::is_ok).count();
    found.sort_unstable();
    let pairs: Vec<String> = found.iter().map(|(n, c)| format!("[{n},{c}]")).collect();
    println!("{{\"steps\":[{}],\"total\":{},\"threads\":{joined}}}", pairs.join(","),
             total.load(Ordering::Relaxed));
}
