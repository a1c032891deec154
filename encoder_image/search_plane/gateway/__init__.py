"""The search gateway: one query in, products with live price and stock out, wholly from one release."""
