//! Measures one anchor once: `anchor-rust CASE SUBJECT [key=value]...` prints one line of JSON.

mod flight;
mod harness;
mod histogram;
mod map;
mod mutex;
mod once;
mod plan;
mod rwlock;
mod snapshot;

use plan::{usage, Plan};

/// A case, a subject of it, and what measures it.
pub type Subject = (&'static str, &'static str, fn(Plan));

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let subjects: Vec<Subject> =
        [snapshot::SUBJECTS, mutex::SUBJECTS, rwlock::SUBJECTS, map::SUBJECTS, once::SUBJECTS, flight::SUBJECTS]
            .concat();
    if arguments == ["--list"] {
        subjects.iter().for_each(|(case, subject, _)| println!("{case} {subject}"));
        return;
    }
    let plan = Plan::parse(&arguments);
    plan::alarm(30);
    match subjects.iter().find(|(case, subject, _)| *case == plan.case && *subject == plan.subject) {
        Some((_, _, run)) => run(plan),
        None => usage(&format!("unknown case or subject: {} {}", plan.case, plan.subject)),
    }
}
