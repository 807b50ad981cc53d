"""What does each phase where no agent does: one file, one worker."""
