"""The planner and the policy as servers."""
