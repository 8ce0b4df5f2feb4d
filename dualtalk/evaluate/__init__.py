"""Measuring motion: lips against the sound, liveliness against tracked people, answers to the partner."""
