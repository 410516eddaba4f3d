//! The case list is complete: every operation has a row under its name.

use std::collections::BTreeSet;

use gannet_tensor::{Graph, NodeKind};
use gannet_tests::{Row, rows};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

/// File names and types of the operations, from the list that declares them.
fn operations() -> Vec<(&'static str, &'static str)> {
    let source = include_str!("../crates/tensor/src/ops/mod.rs");
    let (_, list) = source.split_once("\noperations! {").expect("ops/mod.rs declares operations");
    let (list, _) = list.split_once('}').expect("the list ends");
    list.lines().filter_map(|line| line.trim().trim_end_matches(',').split_once(": ")).collect()
}

/// The names of all operations in a case drawn from a row.
fn traced(row: &Row) -> BTreeSet<&'static str> {
    let case = row.cases.new_tree(&mut TestRunner::deterministic()).expect("a case").current();
    let graph = Graph::new();
    let mut names = BTreeSet::new();
    let mut stack = vec![case.trace(&graph).1];
    while let Some(var) = stack.pop() {
        if let NodeKind::Operation(op, inputs) = var.kind() {
            names.insert(op.name());
            stack.extend(inputs.iter().map(|id| graph.var(*id)));
        }
    }
    names
}

#[test]
fn every_operation_has_a_row() {
    let rows = rows::all();
    let operations = operations();
    assert!(operations.len() > 50, "found only {operations:?}");
    for (name, _) in operations {
        let row = rows.iter().find(|row| row.name == name);
        let row = row.unwrap_or_else(|| panic!("the case list has no row '{name}'"));
        assert!(traced(row).contains(name), "the row '{name}' does not build the operation '{name}'");
    }
}

#[test]
fn rows_are_called_after_what_they_are() {
    let names: Vec<&str> = rows::all().iter().map(|row| row.name).collect();
    let distinct: BTreeSet<&str> = names.iter().copied().collect();
    assert_eq!(names.len(), distinct.len());
    macro_rules! called {
        ($($name:ident)*) => { vec![$(stringify!($name)),*] };
    }
    let called = gannet_tests::for_each_row!(called);
    assert_eq!(names, called);
}
