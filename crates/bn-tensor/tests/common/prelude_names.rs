// The test of `prelude.rs`, which imports its crate by a glob and includes this file.
#[test]
fn a_glob_import_hides_no_name_of_the_prelude() {
    let parsed: Result<Option<u8>, String> = Ok(Some(1));
    assert!(matches!(
        parsed,
        std::result::Result::Ok(std::option::Option::Some(1))
    ));
    let values: Vec<String> = std::vec::Vec::from([ToString::to_string("a")]);
    let boxed: Box<dyn Iterator<Item = String>> = std::boxed::Box::new(values.into_iter());
    drop(boxed);
}
