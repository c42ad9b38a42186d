"""The demo marketplace and the local APIs that stand in for GitHub and Stripe; never used in production."""
