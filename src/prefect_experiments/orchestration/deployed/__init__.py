"""What the flows to deploy are made of: parameters, what is done with a result, what a second run does."""
