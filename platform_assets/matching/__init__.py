"""Who suits which project: exact filters, an explained score, the best K of it, and what is published."""
