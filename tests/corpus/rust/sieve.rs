// SPDX-License-Identifier: MIT
//! How many primes there are below some numbers, by one sieve; and the largest gap.
mod event;

fn main() {
    let limits = event::numbers(&event::read());
    let most = *limits.iter().max().unwrap_or(&0) as usize;
    let mut composite = vec![false; most + 1];
    let mut primes: Vec<usize> = Vec::new();
    for number in 2..most {
        if composite[number] {
            continue;
        }
        primes.push(number);
        for multiple in (number * number..most).step_by(number) {
            composite[multiple] = true;
        }
    }
    let counts: Vec<usize> =
        limits.iter().map(|&limit| primes.partition_point(|&p| (p as i64) < limit)).collect();
    let gap = primes.windows(2).map(|pair| pair[1] - pair[0]).max();
    println!("{{\"counts\":{counts:?},\"gap\":{}}}", gap.unwrap_or(0));
}
