//! Tables: printed, kept in `target/load`, and put between their marks in `docs/performance.md`.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use super::speech;

/// A table of one benchmark.
pub struct Table {
    name: &'static str,
    text: String,
}

impl Table {
    pub fn new(name: &'static str, columns: &[&str]) -> Table {
        let mut table = Table { name, text: String::new() };
        table.line(columns.iter().map(|c| (*c).to_owned()));
        table.line(columns.iter().map(|_| "---".to_owned()));
        table
    }

    pub fn row(&mut self, cells: &[String]) {
        self.line(cells.iter().cloned());
        println!("{}", cells.join("  "));
    }

    fn line(&mut self, cells: impl Iterator<Item = String>) {
        let cells: Vec<String> = cells.collect();
        writeln!(self.text, "| {} |", cells.join(" | ")).unwrap();
    }

    /// For the page.
    pub fn keep(&self) {
        fs::write(speech::folder().join(format!("{}.md", self.name)), &self.text).unwrap();
        println!("\n{}", self.text);
    }
}

/// Puts every kept table into the page.
pub fn run() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/performance.md");
    let mut text = fs::read_to_string(&page).unwrap();
    for entry in fs::read_dir(speech::folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "md") {
            continue;
        }
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let (start, end) = (format!("<!-- {name} -->"), format!("<!-- /{name} -->"));
        let (Some(from), Some(to)) = (text.find(&start), text.find(&end)) else {
            println!("docs/performance.md has no place for {name}");
            continue;
        };
        let table = fs::read_to_string(&path).unwrap();
        text.replace_range(from + start.len()..to, &format!("\n{table}"));
        println!("{name}: rendered");
    }
    fs::write(&page, text).unwrap();
}
