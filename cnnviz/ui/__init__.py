"""What the pages share: the sidebar, choices that a link brings back, questions to workers."""
