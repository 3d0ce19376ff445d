"""Recipes: whole trainings that only need parameters."""
