"""Learning-rate schedules whose lengths come from the trainer."""
