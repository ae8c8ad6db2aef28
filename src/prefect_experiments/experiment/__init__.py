"""An experiment from the call to the result: described, checked, run, logged, compared, pushed. No Prefect in it."""
