"""Operations: check states and reports, alerts, redaction; later health metrics and recovery."""
