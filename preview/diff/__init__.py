"""What an edit changes: a stack at a Git revision beside the working tree, and what the update between them does."""
