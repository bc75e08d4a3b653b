//! The rows. Each returns what one slice of `n` took.

use crate::slice::{resident_bytes, Slice, Watch};
use std::future::{pending, ready};
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, Notify};
use tokio::task::{yield_now, JoinHandle, JoinSet};
use tokio::time::timeout;

pub const NAMES: [&str; 9] = [
    "yield",
    "spawn_1000",
    "cancel_10k",
    "channel",
    "channel_strict",
    "timeout",
    "timeout_ready",
    "memory",
    "idle",
];
pub const SETTLE_TURNS: usize = 3;
const BATCH: usize = 1000;
const CANCELLED_TASKS: usize = 10_000;
const CAPACITY: usize = 128;
const PARTS: usize = 4;
const TIMEOUT: Duration = Duration::from_secs(10);

pub async fn run(name: &str, n: usize) -> Slice {
    let row = match name {
        "yield" => tokio::spawn(yields(n)),
        "spawn_1000" => tokio::spawn(spawn(n)),
        "cancel_10k" => tokio::spawn(cancel(n)),
        "channel" | "channel_strict" => tokio::spawn(channel(n)),
        "timeout" => tokio::spawn(timeout_unexpired(n)),
        "timeout_ready" => tokio::spawn(timeout_ready(n)),
        "memory" => tokio::spawn(memory(n)),
        _ => tokio::spawn(idle(n)),
    };
    row.await.expect("a row")
}

/// How many of a slice's tasks have come as far as their wait.
#[derive(Default)]
struct Parked(AtomicUsize);

impl Parked {
    fn arrive(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    async fn all(&self, n: usize) {
        while self.0.load(Ordering::Relaxed) < n {
            yield_now().await;
        }
        for _ in 0..SETTLE_TURNS {
            yield_now().await;
        }
    }
}

async fn take_turns(n: usize) {
    for _ in 0..n {
        yield_now().await;
    }
}

async fn yields(n: usize) -> Slice {
    let mut watch = Watch::started();
    let (one, other) = (tokio::spawn(take_turns(n)), tokio::spawn(take_turns(n)));
    one.await.expect("a task");
    other.await.expect("a task");
    watch.stop();
    watch.slice(2 * n)
}

/// With the handles in a vector: less than a JoinSet costs.
async fn spawn(n: usize) -> Slice {
    let mut handles: Vec<JoinHandle<()>> = Vec::with_capacity(BATCH);
    let mut watch = Watch::started();
    for _ in 0..n {
        handles.extend((0..BATCH).map(|_| tokio::spawn(async {})));
        for handle in handles.drain(..) {
            handle.await.expect("a task");
        }
    }
    watch.stop();
    watch.slice(n * BATCH)
}

/// The clock runs from the cancellation until the last task has been joined.
async fn cancel(n: usize) -> Slice {
    let mut watch = Watch::default();
    for _ in 0..n {
        let parked = Arc::new(Parked::default());
        let mut set = JoinSet::new();
        for _ in 0..CANCELLED_TASKS {
            let parked = parked.clone();
            set.spawn(async move {
                parked.arrive();
                pending::<()>().await;
            });
        }
        parked.all(CANCELLED_TASKS).await;
        watch.start();
        set.abort_all();
        while set.join_next().await.is_some() {}
        watch.stop();
    }
    watch.slice(n * CANCELLED_TASKS)
}

async fn channel(n: usize) -> Slice {
    let (send, mut receive) = mpsc::channel::<u64>(CAPACITY);
    let mut watch = Watch::started();
    let producer = tokio::spawn(async move {
        for item in 0..n as u64 {
            send.send(item).await.expect("a receiver");
        }
    });
    let consumer = tokio::spawn(async move {
        let mut sum = 0;
        while let Some(item) = receive.recv().await {
            sum += item;
        }
        sum
    });
    producer.await.expect("a task");
    let sum = consumer.await.expect("a task");
    watch.stop();
    assert_eq!(sum, n as u64 * (n as u64 - 1) / 2);
    watch.slice(n)
}

/// Parts with and without the timeout alternate; the difference is what is told.
async fn timeout_unexpired(n: usize) -> Slice {
    let (mut inside, mut bare) = (Watch::default(), Watch::default());
    for _ in 0..PARTS {
        inside.start();
        for _ in 0..n {
            timeout(TIMEOUT, yield_now()).await.expect("in time");
        }
        inside.stop();
        bare.start();
        for _ in 0..n {
            yield_now().await;
        }
        bare.stop();
    }
    inside.cpu_ns -= bare.cpu_ns;
    inside.wall_ns -= bare.wall_ns;
    inside.slice(n * PARTS)
}

async fn timeout_ready(n: usize) -> Slice {
    let mut watch = Watch::started();
    for i in 0..n {
        black_box(timeout(TIMEOUT, ready(black_box(i))).await).expect("in time");
    }
    watch.stop();
    watch.slice(n)
}

/// Starts `n` tasks that wait for `over`, and returns when all of them do.
async fn park(n: usize, over: &Arc<Notify>) -> Vec<JoinHandle<()>> {
    let parked = Arc::new(Parked::default());
    let mut handles = Vec::with_capacity(n);
    for _ in 0..n {
        let (parked, over) = (parked.clone(), over.clone());
        handles.push(tokio::spawn(async move {
            parked.arrive();
            over.notified().await;
        }));
    }
    parked.all(n).await;
    handles
}

async fn memory(n: usize) -> Slice {
    let over = Arc::new(Notify::new());
    let before = resident_bytes();
    let handles = park(n, &over).await;
    let size_bytes = resident_bytes() - before;
    over.notify_waiters();
    for handle in handles {
        handle.await.expect("a task");
    }
    Slice {
        ops: n,
        size_bytes,
        ..Slice::default()
    }
}

/// Answers when all are parked, and stays so: it is watched from outside, then killed.
async fn idle(n: usize) -> Slice {
    let over = Arc::new(Notify::new());
    let handles = park(n, &over).await;
    let answer = Slice {
        ops: n,
        ..Slice::default()
    };
    answer.say();
    for handle in handles {
        handle.await.expect("a task");
    }
    answer
}
