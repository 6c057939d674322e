"""What was done about contamination: records of agencies, summed honestly, against what remains."""
