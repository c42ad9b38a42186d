"""Money: what the payment gateway did, what it adds up to, and what is still owed. Amounts are in minor units."""
