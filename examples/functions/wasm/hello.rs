// SPDX-License-Identifier: MIT
//! A WebAssembly function: the same contract, through WASI. The file that the argument names lies
//! in a directory that is opened for it.
//!
//!     rustc -O --target wasm32-wasip1 -o handler.wasm hello.rs      (older: wasm32-wasi)
//!     novactl register hello-wasm --runtime wasm --code handler.wasm

use std::{env, error::Error, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let path = env::args().nth(1).ok_or("usage: handler EVENT.json")?;
    let event = fs::read_to_string(path)?;
    println!("{{\"event\":{},\"runtime\":\"wasm\"}}", event.trim());
    Ok(())
}
