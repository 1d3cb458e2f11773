//! Whether a worker that registers is what answers at its address.

use super::{Fleet, Line};
use crate::machine::{Farm, Secret};
use icefarm_core::Object;
use icefarm_core::wire::{ErrorCode, ErrorDetail, HeartbeatAnswer, Registration};
use icefarm_net::{Endpoint, HttpError, RequestOptions};

impl Fleet {
    /// Checks a registration under a name that is known at the same address from another start.
    /// Anybody can say that a worker was started again; only the worker itself answers under the
    /// secret that it registers with. Under another address the
    /// [machine](crate::machine) sees to it that the known one is not alive.
    ///
    /// # Errors
    /// `conflict` if something else answers there, `unavailable` if nothing does.
    pub(crate) async fn vouch(
        &self,
        farm: &Farm,
        registration: &Registration,
        endpoint: &Endpoint,
    ) -> Result<(), ErrorDetail> {
        let Some(known) = farm.workers.get(&registration.name) else { return Ok(()) };
        let same = known.incarnation == registration.incarnation
            && known.secret == Secret(registration.secret.clone());
        if same || known.url != endpoint.to_string() {
            return Ok(());
        }
        let line = Line {
            http: self.http.clone(),
            worker: registration.name.clone(),
            incarnation: registration.incarnation.clone(),
            endpoint: Ok(endpoint.clone()),
            options: RequestOptions::default().bearer(registration.secret.clone()),
            tokens: self.tokens.clone(),
        };
        let heard = line.post("/heartbeat", &Object::new(), self.manners.heartbeat_timeout).await;
        let name = &registration.name;
        match heard {
            Ok(HeartbeatAnswer { worker, incarnation, .. })
                if worker == *name && incarnation == registration.incarnation =>
            {
                Ok(())
            }
            Ok(_) | Err(HttpError::Answer { .. }) => Err(ErrorDetail::new(
                ErrorCode::Conflict,
                format!(
                    "the worker `{name}` is known at {endpoint}, and what answers there is not \
                     the one that registers now; give this one another name, or end the other one"
                ),
            )),
            Err(error) => Err(ErrorDetail::new(
                ErrorCode::Unavailable,
                format!(
                    "the worker `{name}` is known at {endpoint} from another start, and this one \
                     does not answer there: {error}"
                ),
            )),
        }
    }
}
