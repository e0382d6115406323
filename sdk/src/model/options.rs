//! How a model should answer.

/// What an answer must look like.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum Format {
    /// Text.
    #[default]
    Text,
    /// A JSON object. Say in a message which; some models do not stop otherwise.
    Json,
    /// JSON that fits this JSON Schema, itself JSON text of at most 32 KiB. Check what you get.
    JsonSchema(String),
}

/// How a model should answer; the model's own way by default.
#[derive(Clone, PartialEq, Debug, Default)]
#[non_exhaustive]
pub struct Options {
    /// Which model; none for the host's own choice.
    pub model: Option<String>,
    /// Most tokens of the answer.
    pub max_tokens: Option<u32>,
    /// 0 to 2.
    pub temperature: Option<f32>,
    /// Makes the same answer more likely.
    pub seed: Option<u32>,
    /// The answer ends before the first of them.
    pub stop: Vec<String>,
    /// What the answer must look like.
    pub format: Format,
}

impl Options {
    /// The host's model, in its own way.
    pub fn new() -> Self {
        Self::default()
    }

    /// Chooses one of the models that the operator allows; another one is `Invalid`.
    #[must_use]
    pub fn model(mut self, name: &str) -> Self {
        self.model = Some(name.to_owned());
        self
    }

    /// Cuts the answer after that many tokens (1 to 32,768).
    #[must_use]
    pub fn max_tokens(mut self, tokens: u32) -> Self {
        self.max_tokens = Some(tokens);
        self
    }

    /// 0 for the likeliest words up to 2 for surprising ones.
    #[must_use]
    pub fn temperature(mut self, temperature: f32) -> Self {
        self.temperature = Some(temperature);
        self
    }

    /// Makes the same answer to the same request more likely, nothing more.
    #[must_use]
    pub fn seed(mut self, seed: u32) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Ends the answer before this text. At most 4 of 1 to 128 bytes.
    #[must_use]
    pub fn stop(mut self, text: &str) -> Self {
        self.stop.push(text.to_owned());
        self
    }

    /// Asks for JSON.
    #[must_use]
    pub fn format(mut self, format: Format) -> Self {
        self.format = format;
        self
    }

    /// Asks for JSON that a type of yours can be read from: `options.json::<Summary>()`.
    #[must_use]
    pub fn json<T: schemars::JsonSchema>(self) -> Self {
        let settings = schemars::generate::SchemaSettings::draft2020_12().for_deserialize();
        let schema = settings.into_generator().into_root_schema_for::<T>();
        self.format(Format::JsonSchema(schema.as_value().to_string()))
    }
}
