"""Many nights over one baseline: what each may spend of a month's false alarms, and what they show together."""
