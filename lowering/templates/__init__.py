"""Stage texts that are written for one form each, where a nest would be right but slow."""
