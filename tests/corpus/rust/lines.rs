// SPDX-License-Identifier: MIT
//! Sorts lines through a file of /tmp, in the order that the environment asks for.
mod event;

use std::io::{BufRead, BufReader, Read, Write};
use std::{env, fs, io, process};

fn sorted(lines: &[String], descending: bool) -> io::Result<Vec<String>> {
    let path = env::temp_dir().join(format!("lines-{}", process::id()));
    let mut file = fs::OpenOptions::new().create_new(true).write(true).open(&path)?;
    for line in lines {
        writeln!(file, "{line}")?;
    }
    let reader = BufReader::new(fs::File::open(&path)?);
    let mut read = reader.lines().collect::<io::Result<Vec<String>>>()?;
    fs::remove_file(&path)?;
    read.sort();
    if descending {
        read.reverse();
    }
    Ok(read)
}

fn main() -> io::Result<()> {
    let order = env::var("ORDER").unwrap_or_else(|_| "ascending".to_string());
    let lines = sorted(&event::texts(&event::read()), order == "descending")?;
    let mut stdin = String::new();
    let given = io::stdin().read_to_string(&mut stdin)?;
    eprintln!("{} lines, {order}", lines.len());
    let quoted: Vec<String> = lines.iter().map(|line| event::quoted(line)).collect();
    println!("{{\"lines\":[{}],\"stdin\":{given},\"home\":{}}}", quoted.join(","),
             event::quoted(&env::var("HOME").unwrap_or_default()));
    Ok(())
}
