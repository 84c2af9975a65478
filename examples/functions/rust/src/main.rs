// SPDX-License-Identifier: MIT
//! A function is a static program: its event is the JSON file that its argument names, its answer
//! is JSON on stdout.

use serde::{Deserialize, Serialize};
use std::{env, error::Error, fs::File, io};

#[derive(Deserialize)]
struct Event {
    #[serde(default = "anonymous")]
    name: String,
}

#[derive(Serialize)]
struct Answer {
    message: String,
    runtime: &'static str,
}

fn anonymous() -> String {
    "Anonymous".to_string()
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = env::args().nth(1).ok_or("usage: handler EVENT.json")?;
    let event: Event = serde_json::from_reader(File::open(path)?)?;
    let answer = Answer { message: format!("Hello, {}!", event.name), runtime: "rust" };
    serde_json::to_writer(io::stdout(), &answer)?;
    Ok(())
}
