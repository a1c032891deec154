"""The optional second model of an encoder: a cross-encoder that scores a query with each of some texts."""
