//! Steps that fail, hang and panic when told to, for the tests of what executes steps.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex};
use std::thread::sleep;
use std::time::Duration;

use cucumber::when;

use super::failure::{Failure, StepOutcome, expect_equal};
use super::world::World;
use crate::rpc::message::{ExecuteStepParams, SKIPPED, StepType};

pub fn params(step: &str) -> ExecuteStepParams {
    ExecuteStepParams {
        process: String::new(),
        step_type: StepType::When,
        step: step.into(),
        parameters: Default::default(),
        context: Default::default(),
        is_broadcast: false,
    }
}

#[when(regex = r"^the test passes$")]
fn passes(_: &mut World) {}

#[when(regex = r"^the test fails$")]
fn fails(_: &mut World) -> StepOutcome {
    Err(Failure::new("on purpose"))
}

#[when(regex = r"^the test needs more rights$")]
fn needs_more_rights(_: &mut World) -> StepOutcome {
    Err(Failure::new(format!("{SKIPPED}on purpose")))
}

#[when(regex = r"^the test panics$")]
fn panics(_: &mut World) {
    panic!("on purpose");
}

#[when(regex = r"^the test waits '(\d+)' ms$")]
fn waits(_: &mut World, milliseconds: u64) {
    sleep(Duration::from_millis(milliseconds));
}

#[when(regex = r"^the test tells '(\w+)' as '(\w+)'$")]
fn tells(world: &mut World, key: String, value: String) {
    world.context.insert(key, value);
}

#[when(regex = r"^the test was told '(\w+)' as '(\w+)'$")]
fn was_told(world: &mut World, key: String, value: String) -> StepOutcome {
    expect_equal(&key, value, world.context[&key].clone())
}

#[when(regex = r"^the test waits at gate '(\d+)'$")]
fn waits_at_gate(_: &mut World, id: u64) {
    wait_at_gate(id);
}

#[when(regex = r"^the test holds what is released at gate '(\d+)'$")]
fn holds_burden(world: &mut World, id: u64) {
    world.burden = Some(Burden(id));
}

/// Not to be dropped before its gate is open.
pub struct Burden(u64);

impl Drop for Burden {
    fn drop(&mut self) {
        wait_at_gate(self.0);
    }
}

/// The gates that are shut.
static GATES: Mutex<BTreeSet<u64>> = Mutex::new(BTreeSet::new());
static OPENED: Condvar = Condvar::new();

fn wait_at_gate(id: u64) {
    let gates = GATES.lock().unwrap();
    drop(
        OPENED
            .wait_while(gates, |gates| gates.contains(&id))
            .unwrap(),
    );
}

/// Shut until it is dropped.
pub struct Gate(u64);

pub fn shut_gate() -> Gate {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    GATES.lock().unwrap().insert(id);
    Gate(id)
}

impl Gate {
    /// The step that ends only when it is open.
    pub fn waiting(&self) -> String {
        format!("the test waits at gate '{}'", self.0)
    }

    /// The step that makes something which is released only when it is open.
    pub fn holding(&self) -> String {
        format!("the test holds what is released at gate '{}'", self.0)
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        GATES.lock().unwrap().remove(&self.0);
        OPENED.notify_all();
    }
}

static DROPPED: Mutex<BTreeSet<u64>> = Mutex::new(BTreeSet::new());

#[when(regex = r"^the test holds thing '(\d+)'$")]
fn holds(world: &mut World, id: u64) {
    world.witness = Some(DropNote(id));
}

/// Told when it is dropped.
pub struct DropNote(u64);

impl Drop for DropNote {
    fn drop(&mut self) {
        DROPPED.lock().unwrap().insert(self.0);
    }
}

/// Sees whether the World has dropped what a step made it hold.
pub struct Watch(u64);

pub fn watch_drops() -> Watch {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    Watch(NEXT.fetch_add(1, Ordering::Relaxed))
}

impl Watch {
    pub fn id(&self) -> u64 {
        self.0
    }

    pub fn is_dropped(&self) -> bool {
        DROPPED.lock().unwrap().contains(&self.0)
    }
}
