"""The local Stripe API: payment intents, charges, refunds and balance transactions with the real semantics."""
