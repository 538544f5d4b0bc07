//! The page for those who come from other frameworks: its programs run as documentation tests, and
//! contain all that its tables name.

const PAGE: &str = include_str!("../../docs/coming_from.md");

/// Without white space, which the formatter may change.
fn dense(text: &str) -> String {
    text.split_whitespace().collect()
}

/// The text between `begin` and `end`, for each time that it occurs.
fn between<'a>(text: &'a str, begin: &str, end: &str) -> Vec<&'a str> {
    let parts = text.split(begin).skip(1);
    parts.map(|part| part.split(end).next().unwrap()).collect()
}

#[test]
fn the_programs_of_the_page_contain_every_expression_of_its_tables() {
    let programs: String = between(PAGE, "```rust", "```")
        .into_iter()
        .map(dense)
        .collect();
    let rows = PAGE.lines().filter(|line| line.starts_with('|'));
    let mut expressions = 0;
    for row in rows {
        let row = row.replace("\\|", "\u{1}"); // a bar in a cell
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        assert_eq!(cells.len(), 4, "{row}");
        for code in cells[3].split('`').skip(1).step_by(2) {
            expressions += 1;
            let code = dense(&code.replace('\u{1}', "|"));
            assert!(programs.contains(&code), "no program has {code}");
        }
    }
    assert!(expressions > 100, "{expressions}");
}
