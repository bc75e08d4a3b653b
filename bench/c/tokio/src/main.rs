//! The C rows on tokio: one process that measures one row, a slice when asked.
//!
//! It obeys the same protocol as the other workers: a line "slice N" on standard input is
//! answered by a line of JSON. The runtime lives as long as the process, with a timer an hour
//! away and a listener on which nobody ever arrives. The measured code runs in spawned tasks,
//! as a server's does.
//!
//! Use: worker_tokio ROW; for ROW "echo" it is a server: it prints {"port": …} and serves on.

mod echo;
mod rows;
mod slice;

use std::io::BufRead;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::Builder;

const FAR: Duration = Duration::from_secs(3600);

/// What real programs have around them.
async fn surround() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    tokio::spawn(tokio::time::sleep(FAR));
    tokio::spawn(async move { listener.accept().await });
    for _ in 0..rows::SETTLE_TURNS {
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// Blocking between two slices is harmless: nothing else has anything to do.
async fn obey(row: &str) -> Result<(), Box<dyn std::error::Error>> {
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let n = line
            .trim()
            .strip_prefix("slice ")
            .ok_or("unknown request")?;
        rows::run(row, n.parse()?).await.say();
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let row = std::env::args().nth(1).unwrap_or_default();
    let runtime = Builder::new_current_thread().enable_all().build()?;
    if row == "echo" {
        return Ok(runtime.block_on(echo::serve())?);
    }
    if !rows::NAMES.contains(&row.as_str()) {
        return Err("usage: worker_tokio ROW".into());
    }
    println!("{{\"version\": \"{}\"}}", env!("CARGO_PKG_VERSION"));
    runtime.block_on(async {
        surround().await?;
        obey(&row).await
    })
}
