//! Events instead of sleeps: the test controls the order of operations, independent of the speed of the machine.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Upper bound for a wait, so that a failing test ends.
const LIMIT: Duration = Duration::from_secs(120);

/// Blocks all waiting threads until it is opened.
#[derive(Clone, Default)]
pub struct Latch(Arc<(Mutex<bool>, Condvar)>);

impl Latch {
    pub fn open(&self) {
        self.set(true);
    }

    pub fn close(&self) {
        self.set(false);
    }

    fn set(&self, is_open: bool) {
        let (state, changed) = &*self.0;
        *state.lock().unwrap_or_else(PoisonError::into_inner) = is_open;
        changed.notify_all();
    }

    pub fn wait(&self) {
        let (state, changed) = &*self.0;
        let state = state.lock().unwrap_or_else(PoisonError::into_inner);
        drop(changed.wait_timeout_while(state, LIMIT, |is_open| !*is_open));
    }
}

/// Counts who has come, and lets a number of them go on when they are all there.
#[derive(Clone, Default)]
pub struct Rendezvous(Arc<(Mutex<usize>, Condvar)>);

impl Rendezvous {
    /// Comes, as number 1, 2, 3 and so on, and waits until `expected` of that number have come.
    pub fn come(&self, expected: impl Fn(usize) -> usize) -> usize {
        let (count, changed) = &*self.0;
        let mut count = count.lock().unwrap_or_else(PoisonError::into_inner);
        *count += 1;
        let number = *count;
        changed.notify_all();
        drop(changed.wait_timeout_while(count, LIMIT, |count| *count < expected(number)));
        number
    }
}
