//! This file is what the keeper does about other programs for a core: it tries images, tells what
//! came of that, and executes them.

use super::desk::{Desk, Step};
use super::known;
use super::message::{Answer, Request};
use crate::hal::Platform;
use crate::renewal::{Image, Obstacle};
use crate::time::Instant;
use crate::wire::Text;

impl Desk {
    /// Performs such a request; nothing, for any other.
    #[inline(never)]
    pub(super) fn exchange(&mut self, request: Request<'_>, platform: &mut impl Platform) -> Step {
        if let Request::Try(client) = request {
            let begun = platform.try_image(client);
            let answer = begun.map_or_else(Answer::Refused, |()| Answer::Done);
            return self.answer(platform, answer);
        }
        #[cfg(feature = "exchange")]
        if request == Request::Renew(Image::New) && platform.exchanges_core() {
            return Step::Renew;
        }
        if let Request::Renew(image) = request {
            // Returns where process 1 cannot be executed again, or not as another.
            let error = platform.renew(image);
            return match image {
                Image::Same => Step::Renew,
                Image::New => self.answer(platform, Answer::Refused(error)),
            };
        }
        if request == Request::EndTrial {
            platform.end_trial();
        }
        if request == Request::TakeOver {
            self.is_on_probation = false;
            platform.take_over();
        }
        Step::Done
    }

    /// An image's trial is over; without an obstacle, it has said which units it knows.
    #[inline(never)]
    pub(super) fn tell_trial(
        &self,
        now: Instant,
        obstacle: Option<Obstacle>,
        platform: &impl Platform,
    ) {
        let mut known = known::NONE;
        let length = match obstacle {
            None => known::ask(&mut known, self.manifest, platform),
            Some(_) => 0,
        };
        let known = Text(known.get(..length).unwrap_or_default());
        self.write(now, Answer::TrialEnded { obstacle, known });
    }
}
