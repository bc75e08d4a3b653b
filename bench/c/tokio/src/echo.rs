//! The echo server.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const ECHO_BYTES: usize = 4096;

async fn echo(mut stream: TcpStream) -> std::io::Result<()> {
    let mut buffer = [0; ECHO_BYTES];
    stream.set_nodelay(true)?;
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count]).await?;
    }
}

pub async fn serve() -> std::io::Result<()> {
    tokio::spawn(tokio::time::sleep(crate::FAR));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{{\"port\": {}}}", listener.local_addr()?.port());
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(echo(stream));
    }
}
