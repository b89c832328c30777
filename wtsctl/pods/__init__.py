"""The pods that objects make, how many and what they ask for; counted here alone, for quotas, fit and findings."""
