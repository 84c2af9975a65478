// SPDX-License-Identifier: MIT
//! The contract without any crate: echoes its event. Nothing is fetched to build it:
//!
//!     rustc -O --target x86_64-unknown-linux-musl -o handler plain.rs
//!     novactl register echo-rust --runtime rust --code handler
//!
//! Without musl: rustc -O -C target-feature=+crt-static

use std::{env, error::Error, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let path = env::args().nth(1).ok_or("usage: handler EVENT.json")?;
    let event = fs::read_to_string(path)?;
    println!("{{\"event\":{},\"runtime\":\"rust\"}}", event.trim());
    Ok(())
}
