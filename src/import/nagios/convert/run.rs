//! What objects run: commands and event handlers.

use std::collections::BTreeMap;

use super::super::command::{self, Variables};
use super::super::read::Definition;
use super::Context;

impl Context<'_> {
    /// Makes the argv of an object's event handler; `None` when there is none or it is off.
    pub(super) fn handler(
        &mut self,
        object: &Definition,
        host: &BTreeMap<String, String>,
        service: BTreeMap<String, String>,
    ) -> Option<Vec<String>> {
        let is_on = object.text("event_handler_enabled") != Some("0");
        let is_said = object.text("event_handler").is_some_and(|text| !text.is_empty());
        if !is_on || !is_said || self.source.number("enable_event_handlers", 1.0) == 0.0 {
            return None;
        }
        self.argv(object, "event_handler", host, service)
    }

    /// Makes the argv of a command that an object names; `None` after a note.
    pub(super) fn argv(
        &mut self,
        object: &Definition,
        directive: &str,
        host: &BTreeMap<String, String>,
        service: BTreeMap<String, String>,
    ) -> Option<Vec<String>> {
        let value = object.values.get(directive);
        let Some((place, text)) = value.and_then(|v| Some((&v.place, v.text.as_deref()?))) else {
            self.notes.add(&object.place, "there is no check_command: results are handed in");
            return None;
        };
        let mut arguments = command::split_arguments(text);
        let name = arguments.remove(0);
        let line = self.site.commands.get(&name).and_then(|c| c.text("command_line"));
        let Some(line) = line else {
            let instead = match directive {
                "check_command" => "results are handed in",
                _ => "nothing is run",
            };
            self.notes.add(place, format!("there is no command {name:?}: {instead}"));
            return None;
        };
        let user = Some(&self.source.user_macros);
        let variables = Variables { user, host: host.clone(), service };
        let made = command::make(line, &arguments, &variables);
        if let Some(why) = made.shell {
            self.notes.add(place, format!("{name}: run by a shell, because {why}"));
        }
        if !made.handed_over.is_empty() {
            let names = made.handed_over.join("$, $");
            let what = format!(
                "{name}: puts ${names}$ into a shell's script, which could run what they say; here \
                 the script gets them as arguments: see that it still does what it should"
            );
            self.notes.add(place, what);
        }
        for name in made.unknown {
            self.notes.add(place, format!("${name}$ is not known here and stays as it is"));
        }
        Some(made.argv)
    }
}
