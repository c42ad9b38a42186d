"""The generated marketplace: people, work, hiring and money, the same for the same seed and anchor."""
