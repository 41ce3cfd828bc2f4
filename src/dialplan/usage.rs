//! The countries that the rules of a plan speak of.

use super::number::Region;
use super::plan::{Action, Choice, Emergency, Plan};

impl Plan {
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
    fn countries_are_found_where_they_are_named() {
        let text = "version = 1\n[defaults]\ncountry = \"DE\"\ntimezone = \"UTC\"\n\
             caller_id = \"o\"\n[caller_id.o]\nnumber = \"+493012345670\"\n\
             [emergency]\nnumbers = { DE = [\"112\"], US = [\"911\"] }\nroute = [\"t\"]\n\
             [[outbound]]\nname = \"o\"\nregion = [\"FR\"]\nroute = [\"t\"]\n";
        let plan = load(text, "p", &Known::default(), &NoFiles).unwrap();
        let regions: Vec<String> = plan.regions().map(|region| region.to_string()).collect();
        assert_eq!(regions, ["DE", "DE", "US", "FR"]);
    }
}
