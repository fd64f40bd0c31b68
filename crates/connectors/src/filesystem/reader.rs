//! A reader of bytes: a task on the rim that reads ahead, and a channel.

use super::blocks::{Blocks, Step};
use super::location::external;
use super::watch::Watch;
use crate::{Clock, ConnectorError, RawBlock, Rim, Split, SplitReader};
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::mpsc;

/// Blocks that are read ahead of the one that is decoded.
const AHEAD: usize = 2;

/// How often a followed file is asked whether it has grown: a system call, a hundredth of a millisecond.
const FOLLOW: Duration = Duration::from_millis(10);

/// Hands out the blocks of one split.
pub(super) struct FileReader {
    path: String,
    blocks: mpsc::Receiver<Result<Option<RawBlock>, ConnectorError>>,
    ended: bool,
}

impl FileReader {
    /// Begins to read on the rim what `open` opens there; with a `watch`, follows the file as long as the watch says.
    pub(super) fn new(
        path: &str,
        split: &Split,
        open: impl FnOnce() -> Result<Blocks, ConnectorError> + Send + 'static,
        watch: Option<Arc<Watch>>,
        rim: &Rim,
    ) -> Self {
        let (out, receiver) = mpsc::channel(AHEAD);
        let task = Task { path: path.to_owned(), split: split.id.clone(), watch, clock: rim.clock.clone(), out };
        rim.tokio.spawn(async move {
            match tokio::task::spawn_blocking(open).await {
                Ok(Ok(blocks)) => task.run(blocks).await,
                // Fails when the reader is gone, which is no matter.
                Ok(Err(e)) => drop(task.out.send(Err(e)).await),
                Err(_) => {}
            }
        });
        Self { path: path.to_owned(), blocks: receiver, ended: false }
    }
}

impl SplitReader for FileReader {
    fn poll_block(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<RawBlock>, ConnectorError>> {
        if self.ended {
            return Poll::Ready(Ok(None));
        }
        let Poll::Ready(received) = self.blocks.poll_recv(cx) else { return Poll::Pending };
        let given_up = || Err(external(&self.path, io::Error::other("reading was given up")));
        let block = received.unwrap_or_else(given_up)?;
        self.ended = block.is_none();
        Poll::Ready(Ok(block))
    }
}

struct Task {
    path: String,
    split: String,
    watch: Option<Arc<Watch>>,
    clock: Arc<dyn Clock>,
    out: mpsc::Sender<Result<Option<RawBlock>, ConnectorError>>,
}

impl Task {
    async fn run(self, mut blocks: Blocks) {
        let mut grown = self.clock.monotonic();
        loop {
            let step;
            (blocks, step) = match tokio::task::spawn_blocking(move || (blocks.step(), blocks)).await {
                Ok((step, blocks)) => (blocks, step),
                Err(_) => return,
            };
            let sent = match step {
                Ok(Step::Block(block)) => {
                    grown = self.clock.monotonic();
                    self.out.send(Ok(Some(block))).await
                }
                Ok(Step::Wait) => {
                    let quiet = self.clock.monotonic().saturating_sub(grown);
                    if self.watch.as_ref().is_none_or(|w| w.may_leave(&self.path, &self.split, quiet)) {
                        blocks.end_here();
                    } else if !self.pause().await {
                        return;
                    }
                    continue;
                }
                Ok(Step::End) => {
                    if let Some(watch) = &self.watch {
                        watch.left(&self.path, &self.split, blocks.offset());
                    }
                    self.out.send(Ok(None)).await
                }
                Err(e) => self.out.send(Err(e)).await,
            };
            if sent.is_err() {
                return;
            }
        }
    }

    /// Waits a moment; false when the reader is gone.
    async fn pause(&self) -> bool {
        let until = self.clock.monotonic() + FOLLOW;
        let over = poll_fn(|cx| {
            if self.clock.monotonic() >= until {
                return Poll::Ready(());
            }
            self.clock.wake_at(until, cx.waker().clone());
            Poll::Pending
        });
        tokio::select! {
            () = over => true,
            () = self.out.closed() => false,
        }
    }
}
