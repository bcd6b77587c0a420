//! Looking keys up: in a plain map, and in maps that others write to.

use crate::harness::{measure, measure_alone, step, Worker};
use crate::plan::Plan;
use crate::Subject;
use dashmap::DashMap;
use std::collections::HashMap;
use std::sync::RwLock;

pub const SUBJECTS: &[Subject] =
    &[("key", "hashmap", key), ("map", "dashmap", dashmap), ("map", "rwlock-hashmap", rwlock_hashmap)];

pub fn name_of(key: u32) -> String {
    format!("service.{key:08}.settings.xx")
}

/// Keys, and which is looked up when: the same in all languages.
struct Lookups {
    names: Vec<String>,
    order: Vec<u32>,
}

impl Lookups {
    fn new(keys: u32) -> Self {
        let mut x = 88172645463325252;
        let length = if keys <= 4096 { 4096 } else { 1 << 20 };
        let order = (0..length).map(|_| {
            x = step(x);
            (x % u64::from(keys)) as u32
        });
        Lookups { order: order.collect(), names: (0..keys).map(name_of).collect() }
    }

    fn table<T: FromIterator<(String, u64)>>(&self) -> T {
        (0..).map(name_of).zip(0..self.names.len() as u64).collect()
    }

    /// Gives one name after another, each thread's from a place of its own.
    fn each<'a>(&'a self, thread: u32) -> impl FnMut() -> &'a str + 'a {
        let mask = self.order.len() - 1;
        let mut next = thread as usize * 997;
        move || {
            next += 1;
            &self.names[self.order[next & mask] as usize]
        }
    }
}

fn key(plan: Plan) {
    let lookups = Lookups::new(plan.keys);
    let map: HashMap<String, u64> = lookups.table();
    measure_alone(&plan.alone(), &|worker| {
        let mut next = lookups.each(worker.index);
        worker.cheap(|| map[next()]);
    });
}

fn map(plan: Plan, lookups: &Lookups, get: impl Fn(&str) -> u64 + Sync, put: impl Fn(String, u64) + Sync) {
    let reads = |worker: &mut Worker| {
        let mut next = lookups.each(worker.index);
        let mut sum = 0u64;
        worker.dear(|| sum = sum.wrapping_add(get(next())), || ());
        worker.sum = sum;
    };
    let writes = |worker: &mut Worker| {
        let mut next = lookups.each(worker.index);
        worker.writes(|worker| put(next().into(), worker.ops));
    };
    measure(&plan, &reads, &writes);
}

fn dashmap(plan: Plan) {
    let lookups = Lookups::new(plan.keys);
    let table: DashMap<String, u64> = lookups.table();
    map(
        plan,
        &lookups,
        |key| *table.get(key).unwrap(),
        |key, value| {
            table.insert(key, value);
        },
    );
}

fn rwlock_hashmap(plan: Plan) {
    let lookups = Lookups::new(plan.keys);
    let table: RwLock<HashMap<String, u64>> = RwLock::new(lookups.table());
    map(
        plan,
        &lookups,
        |key| table.read().unwrap()[key],
        |key, value| {
            table.write().unwrap().insert(key, value);
        },
    );
}
