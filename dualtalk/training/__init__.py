"""Training: losses, the LightningModule, and the verb that runs it."""
