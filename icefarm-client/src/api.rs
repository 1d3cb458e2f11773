//! Control's HTTP interface.

use crate::backoff::Backoff;
use crate::client::{Client, Inner};
use crate::error::ClientError;
use crate::loss::{Loss, codes};
use icefarm_core::wire::{BoardDetail, ErrorCode, QueueEntry, WorkerDetail};
use icefarm_core::{LeaseId, Object, Serial, Value};
use icefarm_net::{HttpError, RequestOptions};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use tokio::time::Instant;

impl Client {
    /// How many boards can be reserved now.
    ///
    /// # Errors
    /// [`ClientError::Http`] or [`ClientError::Refused`].
    pub async fn available(&self) -> Result<u64, ClientError> {
        #[derive(Deserialize)]
        struct Available {
            amount: u64,
        }
        Ok(self.inner().get::<Available>("/available").await?.amount)
    }

    /// The boards that can be reserved now.
    ///
    /// # Errors
    /// As [`Self::available`].
    pub async fn devices(&self) -> Result<Vec<Serial>, ClientError> {
        self.inner().get("/devices").await
    }

    /// All boards of the farm, with what is known of them.
    ///
    /// # Errors
    /// As [`Self::available`].
    pub async fn boards(&self) -> Result<Vec<BoardDetail>, ClientError> {
        self.inner().get("/v1/boards").await
    }

    /// All workers of the farm, with what is known of them.
    ///
    /// # Errors
    /// As [`Self::available`].
    pub async fn workers(&self) -> Result<Vec<WorkerDetail>, ClientError> {
        self.inner().get("/v1/workers").await
    }

    /// All requests that wait for boards, the next to be served first.
    ///
    /// # Errors
    /// As [`Self::available`].
    pub async fn queue(&self) -> Result<Vec<QueueEntry>, ClientError> {
        self.inner().get("/v1/queue").await
    }

    /// Lets leases of these boards last their time to live from now on, and returns the boards
    /// for which that was done. Leases of this client need it only if it asked for another time to
    /// live than the usual.
    ///
    /// # Errors
    /// As [`Self::available`].
    pub async fn extend(&self, serials: &[Serial]) -> Result<Vec<Serial>, ClientError> {
        self.inner().post("/extend", &self.inner().named(Some(serials))).await
    }

    /// As [`Self::extend`], for all boards that are held under the client's name.
    ///
    /// # Errors
    /// As [`Self::available`].
    pub async fn extend_all(&self) -> Result<Vec<Serial>, ClientError> {
        self.inner().post("/extendall", &self.inner().named(None)).await
    }

    /// Ends the leases of these boards, and returns the boards for which that was done.
    ///
    /// # Errors
    /// As [`Self::available`].
    pub async fn end(&self, serials: &[Serial]) -> Result<Vec<Serial>, ClientError> {
        self.inner().end(serials).await
    }

    /// Ends all leases of this client, and returns the boards.
    ///
    /// # Errors
    /// As [`Self::available`].
    pub async fn end_all(&self) -> Result<Vec<Serial>, ClientError> {
        self.inner().end_all().await
    }

    /// Brings boards that misbehave back to work: their states reboot them, and what was
    /// interrupted runs again. Returns the boards that were reached. `initialized` follows.
    ///
    /// # Errors
    /// As [`Self::available`].
    pub async fn reboot(&self, serials: &[Serial]) -> Result<Vec<Serial>, ClientError> {
        self.inner().post("/reboot", &self.inner().named(Some(serials))).await
    }
}

impl Inner {
    pub(crate) fn options(&self) -> RequestOptions {
        let options = RequestOptions::default().timeout(self.bounds.request);
        match &self.token {
            Some(token) => options.bearer(token.clone()),
            None => options,
        }
    }

    /// A body that says who asks, and for which boards.
    pub(crate) fn named(&self, serials: Option<&[Serial]>) -> Object {
        let mut body = Object::from_iter([
            ("name".to_owned(), self.name.as_str().into()),
            ("instance".to_owned(), self.instance.as_str().into()),
        ]);
        if let Some(serials) = serials {
            let serials: Value = serials.iter().map(Serial::as_str).collect();
            body.insert("serials".to_owned(), serials);
        }
        body
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        let deadline = Instant::now() + self.bounds.retry;
        let options = self.options();
        self.repeat(deadline, || self.http.get_json(&self.control, path, &options)).await
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: &Object) -> Result<T, ClientError> {
        let deadline = Instant::now() + self.bounds.retry;
        let options = self.options();
        self.repeat(deadline, || self.http.post_json(&self.control, path, body, &options)).await
    }

    /// Repeats a request that has no answer. Everything that control offers may be repeated: it
    /// is done once, or doing it again changes nothing.
    pub(crate) async fn repeat<T, F>(
        &self,
        deadline: Instant,
        mut send: impl FnMut() -> F,
    ) -> Result<T, ClientError>
    where
        F: Future<Output = Result<T, HttpError>>,
    {
        let mut backoff = Backoff::new(self.instance.as_str());
        loop {
            let error = match send().await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let wait = backoff.next();
            if !may_repeat(&error) || Instant::now() + wait >= deadline {
                return Err(error.into());
            }
            tracing::debug!(%error, "a request is repeated");
            tokio::time::sleep(wait).await;
        }
    }

    pub(crate) async fn end(&self, serials: &[Serial]) -> Result<Vec<Serial>, ClientError> {
        let ended: Vec<Serial> = self.post("/end", &self.named(Some(serials))).await?;
        self.hub.lose(&ended, &Loss::new(codes::LEASE_ENDED, "this client ended the lease"));
        self.match_links();
        Ok(ended)
    }

    pub(crate) async fn end_all(&self) -> Result<Vec<Serial>, ClientError> {
        let ended: Vec<Serial> = self.post("/endall", &self.named(None)).await?;
        self.hub.lose(&ended, &Loss::new(codes::LEASE_ENDED, "this client ended the lease"));
        self.match_links();
        Ok(ended)
    }

    /// Events of control may be missing: asks which leases this client still has.
    pub(crate) async fn check_leases(&self) {
        // Of what is granted from here on, the answer may know nothing yet.
        let before = self.hub.held();
        let boards: Vec<BoardDetail> = match self.get("/v1/boards").await {
            Ok(boards) => boards,
            Err(error) => {
                tracing::warn!(%error, "cannot ask control which leases are left");
                return;
            }
        };
        let leases: BTreeMap<Serial, LeaseId> = boards
            .into_iter()
            .filter_map(|board| Some((board.serial, board.lease?.lease)))
            .collect();
        for (serial, held) in before {
            let now = self.hub.board(&serial);
            let is_the_same = now.is_some_and(|now| now.lease == held.lease);
            if is_the_same && leases.get(&serial) != Some(&held.lease) {
                let reason = format!("control does not know the lease on {serial} any more");
                self.hub.lose(&[serial], &Loss::new(codes::LEASE_ENDED, reason));
            }
        }
    }
}

/// Whether the request may have a better answer the next time.
fn may_repeat(error: &HttpError) -> bool {
    match error {
        HttpError::Connect { .. } | HttpError::Timeout { .. } | HttpError::Protocol { .. } => true,
        other => matches!(other.code(), Some(ErrorCode::Unavailable | ErrorCode::Overloaded)),
    }
}
