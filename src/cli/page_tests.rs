//! What docs/ivr-testing.md tells people to type is what this binary takes.

use clap::Parser;

use super::arguments::Cli;

/// Whole lines and what stands in backticks; what is to be filled in is.
fn commands(text: &str) -> Vec<Vec<String>> {
    let lines = text.lines().map(str::trim).filter(|line| line.starts_with("crosspoint "));
    let quoted = text.split('`').filter(|part| part.starts_with("crosspoint ivr "));
    lines
        .chain(quoted)
        .map(|line| {
            let end = line
                .find([' ', '\t'])
                .map_or(line, |_| line.split(" > ").next().unwrap().trim_end_matches(" &"));
            end.replace('"', "").split_whitespace().map(str::to_owned).collect()
        })
        .filter(|words: &Vec<String>| words.len() > 3 || words[1] == "demo")
        .collect()
}

#[test]
fn every_command_of_the_page_about_menus_is_one_and_its_files_are_there() {
    let page = include_str!("../../docs/ivr-testing.md");
    let all = commands(page);
    let of = |word: &str| all.iter().filter(|c| c.iter().any(|part| part == word)).count();
    assert!(of("demo") >= 2 && of("run") >= 2 && of("record") == 1 && of("crawl") == 1, "{all:?}");
    for command in &all {
        if let Err(error) = Cli::try_parse_from(command) {
            panic!("{command:?}\n{error}");
        }
        let files = command.iter().filter(|word| word.starts_with("examples/"));
        for file in files.filter(|file| !file.contains('*')) {
            assert!(std::path::Path::new(file).is_file(), "{file}");
        }
    }
}

/// The job builds what it runs, starts whom it calls, and waits for it.
#[test]
fn the_job_for_a_pipeline_has_all_that_it_needs() {
    let page = include_str!("../../docs/ivr-testing.md");
    let job = page.split("```yaml\n# .github").nth(1).unwrap().split("```").next().unwrap();
    let places: Vec<usize> = [
        "actions/checkout",
        "apt-get install",
        "cargo build --release --locked",
        "GITHUB_PATH",
        "crosspoint demo",
        "/readyz",
        "crosspoint ivr run",
        "--junit out.xml --html report/",
        "upload-artifact",
        "out.xml\\nreport/",
    ]
    .iter()
    .map(|part| job.find(part).unwrap_or_else(|| panic!("no {part}")))
    .collect();
    assert!(places.is_sorted(), "{places:?}");
    // What opus needs to be built is what the image needs.
    let image = include_str!("../../Dockerfile");
    for package in ["cmake", "libopus-dev", "pkg-config"] {
        assert!(job.contains(package) && image.contains(package), "{package}");
    }
}
