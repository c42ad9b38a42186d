"""Developers: what GitHub shows of their work, the skills it supports, and how sure each skill is."""
