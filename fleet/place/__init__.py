"""Where accelerators are to be had, for how much money and carbon: every machine, region and way to buy, ranked."""
