//! What a plan uses: the destinations it names and where, and the countries its rules speak of.

use std::fmt;

use super::number::Region;
use super::plan::{Action, Choice, Destination, Emergency, InboundAction, Plan};
use crate::base::Place;

/// What names a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamedBy<'a> {
    /// An entry of `[extension]` at this place, dialled by a user.
    Extension(&'a str, Option<&'a Place>),
    /// A `[[feature]]` code at this place, dialled by a user.
    Feature(&'a str, Option<&'a Place>),
    /// An `[[inbound]]` rule of this name, at this place.
    Inbound(&'a str, &'a Place),
}

impl NamedBy<'_> {
    /// Whether calls come to it from a trunk.
    pub fn is_from_outside(self) -> bool {
        matches!(self, NamedBy::Inbound(..))
    }

    /// From 1; 0 where it is not known.
    pub fn line(self) -> u32 {
        self.place().map_or(0, |place| place.line)
    }

    /// From 1; 0 where it is not known.
    pub fn column(self) -> u32 {
        self.place().map_or(0, |place| place.column)
    }

    fn place(&self) -> Option<&Place> {
        match self {
            NamedBy::Inbound(_, place) => Some(place),
            NamedBy::Extension(_, place) | NamedBy::Feature(_, place) => *place,
        }
    }
}

impl fmt::Display for NamedBy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NamedBy::Extension(code, _) => write!(f, "extension {code}"),
            NamedBy::Feature(code, _) => write!(f, "feature {code}"),
            NamedBy::Inbound(name, _) => write!(f, "inbound rule {name:?}"),
        }
    }
}

impl Plan {
    /// Every destination of extensions, feature codes and inbound rules, and what names it. Those
    /// inside menus are reached through a menu.
    pub fn destinations(&self) -> impl Iterator<Item = (NamedBy<'_>, &Destination)> {
        let extensions = self
            .extensions
            .iter()
            .map(|(code, to)| (NamedBy::Extension(code.as_str(), self.code_places.get(code)), to));
        let features = self
            .features
            .iter()
            .map(|(code, to)| (NamedBy::Feature(code.as_str(), self.code_places.get(code)), to));
        let inbound = self.inbound.iter().flat_map(|rule| {
            let flow = match &rule.action {
                InboundAction::Flow(flow) => flow.as_slice(),
                InboundAction::Deny(_) => &[],
            };
            flow.iter().map(|to| (NamedBy::Inbound(&rule.name, &rule.at), to))
        });
        extensions.chain(features).chain(inbound)
    }

    /// The countries that the plan speaks of: its own, those of its emergency table, and those that
    /// rules let calls out to. Some come more than once.
    pub fn regions(&self) -> impl Iterator<Item = Region> {
        let emergency = match &self.emergency {
            Emergency::Provided { numbers, .. } => Some(numbers.keys().copied()),
            Emergency::NotProvided => None,
        };
        let rules = self.outbound.iter().filter_map(|rule| match (&rule.action, &rule.region) {
            (Action::Route { .. }, Some(Choice::OneOf(regions))) => Some(regions.iter().copied()),
            _ => None,
        });
        [self.country].into_iter().chain(emergency.into_iter().flatten()).chain(rules.flatten())
    }
}

#[cfg(test)]
mod tests {
    use crate::dialplan::{Known, NoFiles, load};

    #[test]
    fn destinations_and_countries_are_found_where_they_are_named() {
        let text = "version = 1\n[defaults]\ncountry = \"DE\"\ntimezone = \"UTC\"\n\
             caller_id = \"o\"\n[caller_id.o]\nnumber = \"+493012345670\"\n\
             [emergency]\nnumbers = { DE = [\"112\"], US = [\"911\"] }\nroute = [\"t\"]\n\
             [extension]\n\"600\" = \"app:echo\"\n[[feature]]\ncode = \"*9\"\nto = \"user:a\"\n\
             [[outbound]]\nname = \"o\"\nregion = [\"FR\"]\nroute = [\"t\"]\n\
             [[inbound]]\nname = \"i\"\ndid = \"any\"\nflow = [\"user:a\", \"hangup\"]\n";
        let plan = load(text, "p", &Known::default(), &NoFiles).unwrap();
        let named: Vec<String> =
            plan.destinations().map(|(by, to)| format!("{by}:{}: {to}", by.line())).collect();
        assert_eq!(
            named,
            [
                "extension 600:12: app:echo",
                "feature *9:14: user:a",
                "inbound rule \"i\":20: user:a",
                "inbound rule \"i\":20: hangup",
            ]
        );
        let regions: Vec<String> = plan.regions().map(|region| region.to_string()).collect();
        assert_eq!(regions, ["DE", "DE", "US", "FR"]);
    }
}
